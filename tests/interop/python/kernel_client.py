"""Runs code by `jupyter_kernel_client`, as its README has it: `kernel_client.py URL TOKEN CODE`."""

import json
import sys

from jupyter_kernel_client import JupyterKernelClient

url, token, code = sys.argv[1:]
with JupyterKernelClient(server_url=url, token=token) as kernel:
    print(json.dumps(kernel.execute(code)))
