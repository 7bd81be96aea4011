"""
The tests.
"""

import signal

# Who is started in the background, or under nohup, ignores these, and so would the processes that the tests start, from
# which they are not to be kept.  A handler is not handed on.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda number, frame: None)
