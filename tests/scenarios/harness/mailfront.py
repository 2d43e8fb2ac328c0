"""mailfront's smtpfront, a UCSPI SMTP server of the qmail family, from its Debian package."""

import os

from harness.debian import unpack


class Mailfront:
    """argv for `exec`: an SMTP server that hands each message to a stand-in for qmail-queue.

    It takes the client's address from TCPREMOTEIP and writes it into a Received field.
    """

    def __init__(self, build_folder, folder):
        self.unpacked = unpack(build_folder, "mailfront", ["mailfront"])
        self.folder = str(folder)
        self.mail = os.path.join(self.folder, "mail")
        self._make_qmail_home()
        self.argv = [
            "/usr/bin/env",
            f"LD_LIBRARY_PATH={self.unpacked.library_path()}",
            f"MODULE_PATH={self.unpacked.path('usr/lib/mailfront')}",
            f"QMAILHOME={self.folder}",
            self.unpacked.path("usr/sbin/mailfront"),
            *"smtp qmail accept add-received".split(),
        ]

    def _make_qmail_home(self):
        """Its bin/qmail-queue keeps the message it reads in a Maildir."""
        binaries, new = os.path.join(self.folder, "bin"), os.path.join(self.mail, "new")
        os.makedirs(binaries)
        os.makedirs(new)
        queue = os.path.join(binaries, "qmail-queue")
        with open(queue, "w", encoding="ascii") as script:
            script.write("#!/bin/sh\n")
            script.write(f"cat > {self.mail}/$$ || exit 54\n")  # the message comes on descriptor 0
            script.write(f"cat <&1 > {self.folder}/envelope || exit 54\n")  # the envelope on 1
            script.write(f"mv {self.mail}/$$ {new}/$$\n")
        os.chmod(queue, 0o755)
