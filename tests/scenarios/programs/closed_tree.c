/* Preloaded into a gateway: it can open nothing from its first own instruction on, but what is below FOLDER. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((constructor)) static void close_the_tree(int argc, char** argv) {
  if (argc < 2 || strcmp(argv[0], "postern") != 0 || strcmp(argv[1], "gateway") != 0) return;
  struct landlock_ruleset_attr all = {.handled_access_fs = (1 << 13) - 1};
  const int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
  struct landlock_path_beneath_attr kept = {.allowed_access = all.handled_access_fs, .parent_fd = open(FOLDER, O_PATH)};
  if (rules < 0 || kept.parent_fd < 0 || syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &kept, 0) != 0 ||
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, rules, 0) != 0) {
    perror("closed_tree");
    abort();
  }
  close(kept.parent_fd);
  close(rules);
  if (open("/etc/passwd", O_RDONLY) >= 0 || open("/dev/null", O_RDONLY) >= 0) abort();
  fprintf(stderr, "closed_tree: nothing is open but " FOLDER "\n");
}
