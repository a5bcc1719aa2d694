"""Running a node as a process: signals, exit status, and errors as one sentence."""

from __future__ import annotations

from gcseg_ros.quiet_start import leave  # first: what is imported below takes a second

# isort: split
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from gcseg_ros.errors import UserError
from gcseg_ros.nodes.addressed import without_effect
from gcseg_ros.nodes.graph import environment
from gcseg_ros.packages import extra

NO_ROS = f"rclpy is not installed: source a ROS 2 distribution, or install the wheels with {extra('ros')} (Python 3.11 to 3.13)."

try:
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.impl.implementation_singleton import rclpy_implementation
    from rclpy.node import Node
except ModuleNotFoundError as missing:
    if missing.name != "rclpy":
        raise
    sys.exit(NO_ROS)


def run(name: str, make: Callable[[], Node]) -> NoReturn:
    """Spin what `make` gives until Ctrl-C, SIGTERM or SystemExit, then leave the process.

    A node with a method `start` is started, one with `stop` is stopped; one with a future `done` ends when that holds its
    exit status; one that says `busy` then has a thread that is not waited for. Exit status: 0 after a signal, 2 after UserError.
    """
    node, executor, status, initialised = None, None, 0, False
    try:
        if signal.getsignal(signal.SIGINT) is leave:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.update(environment())
        rclpy.init()
        initialised = True
        node = make()
        for sentence in without_effect(node.get_fully_qualified_name(), sys.argv):
            node.get_logger().warning(sentence)
        executor = SingleThreadedExecutor()
        executor.add_node(node)  # before the start: a thread of the node may be done at once, and tells the executor
        if hasattr(node, "start"):
            node.start()
        if hasattr(node, "done"):
            executor.spin_until_future_complete(node.done)
            status = node.done.result() or 0
        else:
            executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except SystemExit as exit_:
        if rclpy.ok():  # else a start failed because a signal came
            status = exit_.code if isinstance(exit_.code, int) else 1
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        status = 2
    except Exception as error:
        if not initialised or rclpy.ok():  # else a signal came between two calls
            if not isinstance(error, rclpy_implementation.RCLError):
                raise
            print(f"{name}: ROS refused: {' '.join(str(error).split())}", file=sys.stderr)
            status = 2
    finally:
        # launch and the terminal both send SIGINT: the second one must not interrupt the clean-up
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with suppress(Exception):
            if node is not None:
                if hasattr(node, "stop"):
                    node.stop()
                node.destroy_node()
        with suppress(Exception):
            if executor is not None:
                executor.shutdown()  # else its __del__ may come after ROS's end, and print a traceback
        rclpy.try_shutdown()
    if getattr(node, "busy", False):
        # the interpreter's end would tear that thread out of a library's code, which aborts
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
