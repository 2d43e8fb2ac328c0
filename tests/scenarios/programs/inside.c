/* Preloaded into gateway and resolver: at their first wait for something to happen, which is behind the sandbox, it tries
   what they may not do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int (*real_wait)(int, struct epoll_event*, int, int, const sigset_t*);

__attribute__((constructor)) static void find(void) {
  *(void**)&real_wait = dlsym(RTLD_NEXT, "epoll_pwait");
}

static const char* yes_or_why(int result) {
  return result >= 0 ? "yes" : strerror(errno);
}

static void try_all(const char* name) {
  char line[512];
  const char* words[] = {"true", NULL};
  int size = snprintf(line, sizeof line, "inside %s: passwd=%s ", name, yes_or_why(open("/etc/passwd", O_RDONLY)));
  size += snprintf(line + size, sizeof line - (size_t)size, "write=%s ",
                   yes_or_why(open("/tmp/" OWN, O_RDWR | O_CREAT, 0600)));
  unlink("/tmp/" OWN);
  size += snprintf(line + size, sizeof line - (size_t)size, "udp=%s ", yes_or_why(socket(AF_INET, SOCK_DGRAM, 0)));
  pid_t child = fork();
  if (child == 0) _exit(0);
  size += snprintf(line + size, sizeof line - (size_t)size, "fork=%s ", yes_or_why(child));
  if (child > 0) {
    waitpid(child, NULL, 0);
    size += snprintf(line + size, sizeof line - (size_t)size, "exec=untried\n");
  } else {
    execv("/bin/true", (char**)words);
    size += snprintf(line + size, sizeof line - (size_t)size, "exec=%s\n", strerror(errno));
  }
  write(2, line, (size_t)size);
}

int epoll_pwait(int fd, struct epoll_event* events, int most, int timeout, const sigset_t* signals) {
  static int tried;
  char name[17] = "";
  if (!__sync_lock_test_and_set(&tried, 1) && prctl(PR_GET_NAME, name, 0, 0, 0) == 0 && strncmp(name, "postern-", 8) == 0) {
    try_all(name);
  }
  return real_wait(fd, events, most, timeout, signals);
}

int epoll_wait(int fd, struct epoll_event* events, int most, int timeout) {
  return epoll_pwait(fd, events, most, timeout, NULL);
}
