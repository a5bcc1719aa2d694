"""Runs a command once a lifecycle node is active: of a bag that began to play earlier the first frames would find no reader.

python -m gcseg_ros.nodes.when_active /mapping_node ros2 bag play walk
"""

from __future__ import annotations

import os
import sys
import time

import rclpy
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState

POLL_S = 0.2
SAY_AFTER_S = 5.0


def wait(name: str) -> None:
    """Until the node `name` (with its namespace) is active."""
    node = rclpy.create_node("when_active", enable_rosout=False, start_parameter_services=False)
    client = node.create_client(GetState, f"{name}/get_state")
    start_s, said = time.monotonic(), False
    try:
        while True:
            if client.wait_for_service(POLL_S):
                answer = client.call_async(GetState.Request())
                rclpy.spin_until_future_complete(node, answer, timeout_sec=SAY_AFTER_S)
                if answer.done() and answer.result().current_state.id == State.PRIMARY_STATE_ACTIVE:
                    return
                time.sleep(POLL_S)
            if not said and time.monotonic() - start_s > SAY_AFTER_S:
                said = True
                node.get_logger().info(f"Waiting until {name} is active.")
    finally:
        node.destroy_node()


def main() -> None:
    name, *command = sys.argv[1:]
    rclpy.init(args=[])
    try:
        wait(name)
    except BaseException as error:  # after Ctrl-C ROS has an exception for each call that finds its context gone
        if rclpy.ok() and not isinstance(error, KeyboardInterrupt):
            raise
        sys.exit(130)
    finally:
        rclpy.try_shutdown()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error.strerror}.")


if __name__ == "__main__":
    main()
