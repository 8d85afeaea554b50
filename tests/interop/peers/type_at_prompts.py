"""Runs a program at a terminal of its own and types what it asks for.

    type_at_prompts.py '[["Password: ", "secret"], ...]' program argument...

Ends as the program does. What the program shows is copied, what is typed is not.
"""

import json
import os
import pty
import select
import sys
import time

PATIENCE = 60

prompts = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])

seen, until = b"", time.monotonic() + PATIENCE
while True:
    if time.monotonic() > until:
        os.kill(pid, 9)
        sys.exit(f"expected {prompts[:1] or 'its end'} of {sys.argv[2]}, found {seen!r}")
    if not select.select([terminal], [], [], 0.1)[0]:
        continue
    try:
        text = os.read(terminal, 4096)
    except OSError:
        text = b""
    if not text:
        break
    os.write(1, text)
    seen += text
    if prompts and prompts[0][0].encode() in seen:
        # A prompt shows before the echo is off.
        time.sleep(0.3)
        os.write(terminal, prompts.pop(0)[1].encode() + b"\n")
        seen = b""

status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
if prompts:
    sys.exit(f"expected the prompt {prompts[0][0]!r}, {sys.argv[2]} ended with {status} before it")
sys.exit(status)
