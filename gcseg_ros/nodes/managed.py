"""What the lifecycle nodes share: they start themselves, work in a thread of their own, and say how they are and why nothing comes."""

from __future__ import annotations

import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from std_srvs.srv import Trigger

from gcseg_ros.errors import UserError
from gcseg_ros.nodes import messages
from gcseg_ros.nodes.diagnostics import Drops, InputState, Rate
from gcseg_ros.nodes.inputs import Input
from gcseg_ros.nodes.parameters import ManagedNodeConfig, declare, read

POLL_S = 0.2
LONGEST_PAUSE_S = 60.0
RIVAL_S = 30.0  # a node that was killed is in the graph still for 20 s
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS,
    TransitionCallbackReturn.FAILURE,
    TransitionCallbackReturn.ERROR,
)


class ManagedNode(LifecycleNode, ABC):
    """A lifecycle node that goes active by itself unless `autostart` is false.

    A subclass has `settings`, offers its services when it is made, and says
    what happens in `_configure` (which sets `_config` and `_worker`, and advertises), `_activate` (which opens `_inputs`),
    `_deactivate` and `_cleanup`.
    """

    settings: ClassVar[type[ManagedNodeConfig]]
    task: ClassVar[str]
    """What the node does, in a word: its name in /diagnostics."""
    optional: ClassVar[frozenset[str]] = frozenset({"tf_static"})
    """Inputs that may be silent."""
    shared: ClassVar[frozenset[str]] = frozenset({"tf", "tf_static"})
    """Inputs that several may publish."""
    changeable: ClassVar[frozenset[str]] = frozenset({"use_sim_time"})
    """Parameters that may be set while the node is configured."""
    stop_timeout_s: ClassVar[float] = 8.0
    """How long what the worker is doing may take to end."""

    def __init__(self, name: str, **arguments: Any) -> None:
        super().__init__(name, **arguments)
        self._config: Any = None
        self._worker: Any = None  # a Worker while configured
        self.busy = False  # whether a thread goes on although it was told to stop
        self._inputs: list[Input] = []
        self._made: list[Callable[[], Any]] = []  # how what was made on configuration is destroyed
        self._answering = 0  # calls of services that are at work
        self._drops = Drops(self.get_logger().warning)
        declare(self, self.settings)
        self.add_on_set_parameters_callback(self._refuse_change)

    def start(self) -> None:
        """Configure and activate, unless `autostart` is false. Raises SystemExit when that fails (the reason is logged)."""
        if self.get_parameter("autostart").value:
            if self.trigger_configure() != SUCCESS or self.trigger_activate() != SUCCESS:
                raise SystemExit(2)
        else:
            self.get_logger().info("Waiting to be configured and activated (autostart is false).")

    def stop(self) -> None:
        """Leave nothing running."""
        self._deactivate()
        self._cleanup()

    # -- what subclasses say ------------------------------------------------------------------------------------------

    @abstractmethod
    def _configure(self) -> None:
        """Raises UserError."""

    @abstractmethod
    def _activate(self) -> None:
        """Raises UserError."""

    def _deactivate(self) -> None:
        """Stop listening. Fine to call at any time."""
        for input_ in self._inputs:
            input_.close()
        self._inputs = []

    def _cleanup(self) -> None:
        """End the worker and destroy what was made. Fine to call at any time."""
        if self._worker is not None:
            self.busy = not self._worker.stop(self.stop_timeout_s)
            self._worker = None
        while self._made:
            self._made.pop()()

    @abstractmethod
    def _status(self, now_s: float) -> tuple[str, dict[str, Any]]:
        """For /diagnostics: one line, and values."""

    def _trouble(self) -> str:
        """What is wrong although something comes, in one line for /diagnostics; nothing if all is well."""
        return ""

    @abstractmethod
    def _silence(self, silent_s: float, states: list[InputState]) -> str:
        """What to warn of when nothing usable has come for so long."""

    def _may_be_silent(self) -> bool:
        """Whether it is all right that nothing comes."""
        return False

    @abstractmethod
    def _farewell(self) -> str:
        """What to say when something came, and nobody publishes any more."""

    # -- transitions --------------------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._said: set[str] = set()
        self._complete, self._last_complete_s, self._pause_s = Rate(), 0.0, float("inf")
        self._rivals: dict[str, float] = {}  # what is said of each, and since when it is there
        return self._attempt(self._configured, self._cleanup) or super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._activated, self._deactivate) or super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self._answering:
            self.get_logger().error("A service call is still at work: clean up when it has been answered.")
            return FAILURE
        if self._worker is not None and not self._worker.stop(self.stop_timeout_s, or_go_on=True):
            self.get_logger().error(f"{self.get_name()} is still at work: clean up when that has ended.")
            return FAILURE
        self._cleanup()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.stop()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.stop()
        return FAILURE if self.busy else SUCCESS  # what goes on must not meet what is configured next

    def _attempt(self, step: Callable[[], None], undo: Callable[[], None]) -> TransitionCallbackReturn | None:
        """None if it went well; a failure is logged (rclpy keeps exceptions to itself), a sentence where the user can help it.

        Raises KeyboardInterrupt where it failed because a signal has ended ROS meanwhile.
        """
        try:
            step()
            return None
        except Exception as error:
            if not self.context.ok():
                raise KeyboardInterrupt from error
            if isinstance(error, UserError):
                self.get_logger().error(str(error))
                undo()
                return FAILURE
            self.get_logger().error(traceback.format_exc())
            return ERROR

    def _configured(self) -> None:
        self._configure()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        self._made.append(lambda: self.destroy_publisher(self._diagnostics))
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on when simulated time stands still
        for period_s, call in (
            (1 / self._config.diagnostics_rate_hz, self._publish_diagnostics),
            (POLL_S, self._watch),
        ):
            timer = self.create_timer(period_s, call, clock=steady)
            self._made.append(lambda timer=timer: self.destroy_timer(timer))

    def _activated(self) -> None:
        self._activate()
        self._last_complete_s, self._pause_s = time.monotonic(), self._config.warn_after_s

    def _advertise(self, kind: type, topic: str, qos: QoSProfile) -> Any:
        """A publisher that is silent while the node is not active."""
        publisher = self.create_lifecycle_publisher(kind, topic, qos)

        def withdraw() -> None:
            publisher.on_deactivate(None)  # a thread that outlasts the node publishes nothing
            self.destroy_lifecycle_publisher(publisher)

        self._made.append(withdraw)
        return publisher

    def _offer(self, name: str, callback: Callable[..., Any]) -> None:
        """A std_srvs/Trigger service; while `callback` awaits, everything else goes on. It lives as long as the node: an answer may
        come after a transition."""
        self.create_service(Trigger, name, callback, callback_group=ReentrantCallbackGroup())

    def _refuse_change(self, parameters: list[Any]) -> SetParametersResult:
        known = all(self.has_parameter(p.name) for p in parameters)
        if not known or self.changeable.issuperset(p.name for p in parameters):
            return SetParametersResult(successful=True)
        if self._worker is None:  # where several are wrong, each can be put right by itself
            mistake = "" if self._mistake() else self._mistake(parameters)
            return SetParametersResult(successful=not mistake, reason=mistake)
        reason = (
            f"Parameters (but {' and '.join(sorted(self.changeable))}) are read when the node is configured: clean it up first (ros2 lifecycle "
            f"set {self.get_fully_qualified_name()} cleanup)."
        )
        return SetParametersResult(successful=False, reason=reason)

    def _mistake(self, changed: Sequence[Any] = ()) -> str:
        """What is wrong with the parameters, as they will be with those that are `changed`; empty if nothing is."""
        try:
            read(self, self.settings, changed)
        except UserError as error:
            return str(error)
        return ""

    # -- at work ------------------------------------------------------------------------------------------------------

    def _heard(self) -> float:
        """Something usable has come: the monotonic time."""
        now_s = time.monotonic()
        self._complete.tick(now_s)
        self._last_complete_s, self._pause_s = now_s, self._config.warn_after_s
        return now_s

    def _say_once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self.get_logger().warning(sentence)

    def _warn_at_the_end(self, sentence: str) -> None:
        """Of what is lost: after a signal, too, which has ended ROS already. Its logger would then complain that it cannot publish."""
        if self.context.ok():
            self.get_logger().warning(sentence)
        else:
            print(f"{self.get_logger().name}: {sentence}", file=sys.stderr)

    def _guarded(self, function: Callable[..., None], *arguments: Any) -> None:
        """A defect is said in full and the node lives on; a call that the end of the node interrupts says nothing."""
        try:
            function(*arguments)
        except UserError as error:
            self._drops("failed", str(error))
        except Exception:
            if self.context.ok():
                self._drops("failed", traceback.format_exc())

    async def _answer(self, function: Callable[[], str], response: Trigger.Response) -> Trigger.Response:
        """Run `function` in the worker's thread; meanwhile the node goes on listening."""
        if self._worker is None:
            response.success, response.message = False, f"{self.get_name()} is not configured: configure it first."
            return response
        done: Future = Future(executor=self.executor)

        def finished(result: Any) -> None:
            done.set_result(result)
            if self.executor is not None:
                self.executor.wake()

        self._worker.call(function).add_done_callback(finished)
        self._answering += 1
        result = await done
        self._answering -= 1
        try:
            response.success, response.message = True, result.result()
            self.get_logger().info(response.message)
        except Exception as error:
            response.success, response.message = False, str(error)
            self.get_logger().error(str(error) if isinstance(error, UserError) else traceback.format_exc())
        return response

    def _watch(self) -> None:
        """Follow the publishers' types and QoS, and say why nothing comes."""
        now_s = time.monotonic()
        for input_ in self._inputs:
            if input_.received.hz(now_s) == 0:
                input_.adapt()
        self._watch_rivals(now_s)
        silent_s = now_s - self._last_complete_s if self._inputs else 0.0
        if silent_s < self._pause_s or self._worker.at_work:
            return
        self._pause_s = silent_s + min(silent_s, LONGEST_PAUSE_S)
        states = [input_.state() for input_ in self._inputs if input_.name not in self.optional]
        if self._complete.count and not any(state.publishers for state in states):
            self._pause_s = float("inf")  # until something comes again
            self.get_logger().info(self._farewell())
        elif not self._may_be_silent():
            self.get_logger().warning(self._silence(silent_s, states))

    def _watch_rivals(self, now_s: float) -> None:
        """Tell of another node of this one's name, and of a topic's second publisher, that stay."""
        found = [
            f"{input_.resolved} is published by {' and '.join(publishers)}: what both send is mixed. Let one of them be silent, or give it "
            "another topic."
            for input_ in self._inputs
            if input_.name not in self.shared and len(publishers := input_.publishers()) > 1
        ]
        if self.get_node_names_and_namespaces().count((self.get_name(), self.get_namespace())) > 1:
            found.append(
                f"Another node is called {self.get_fully_qualified_name()} too: both publish the same topics, and a call of a service is "
                "answered by either. End one of them, or give it another namespace."
            )
        self._rivals = {sentence: self._rivals.get(sentence, now_s) for sentence in found}
        for sentence, since_s in self._rivals.items():
            if now_s - since_s > RIVAL_S:
                self._say_once(sentence)

    def _publish_diagnostics(self) -> None:
        now_s = time.monotonic()
        summary, values = self._status(now_s)
        for input_ in self._inputs:
            values[f"{input_.name} received"] = input_.received.count
            values[f"{input_.name} rate_hz"] = input_.received.hz(now_s)
        values |= {f"dropped: {reason}": count for reason, count in self._drops.reasons.items()}
        level, silent_s = DiagnosticStatus.OK, now_s - self._last_complete_s
        if not self._inputs:
            summary = "inactive"
        elif silent_s > self._config.warn_after_s and not self._worker.at_work and not self._may_be_silent():
            level, summary = DiagnosticStatus.WARN, f"nothing to work on has come for {silent_s:.0f} s"
        elif trouble := self._trouble():
            level, summary = DiagnosticStatus.WARN, trouble
        name, stamp = f"{self.get_fully_qualified_name()}: {self.task}", self.get_clock().now().to_msg()
        self._diagnostics.publish(messages.diagnostics_message(name, level, summary, values, stamp))
