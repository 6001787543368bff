"""Carries orders out on Kubernetes: each mechanism has a module of its own."""

from collections.abc import Collection, Sequence

from controller.platforms.kubernetes.api import KubernetesApi
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.platforms.kubernetes.leftovers import Leftovers
from controller.platforms.kubernetes.replicas import SingleReplicas
from controller.platforms.kubernetes.restarts import RollingRestarts
from controller.platforms.leading import Confirm
from controller.remediation.order import Leftover, Order, Receipt


class KubernetesRemediator:
    """Rolling restarts, replacements and evictions, each at most once per order."""

    def __init__(
        self,
        api: KubernetesApi,
        inventory: KubernetesInventory,
        confirm: Confirm,
        *,
        namespaces: Sequence[str] = (),
    ) -> None:
        """`confirm` is asked once more just before every act; leftovers are looked for in `namespaces`."""
        self._restarts = RollingRestarts(api, confirm)
        self._replicas = SingleReplicas(api, inventory, confirm)
        self._leftovers = Leftovers(api, inventory, confirm, namespaces=namespaces)

    async def find(self, order: Order) -> Receipt | None:
        """The receipt of an order that has begun. Raises PlatformUnavailable."""
        return await self._of(order).find(order)

    async def carry_out(self, order: Order) -> Receipt:
        """Does what is ordered, or its next step. Raises RemediationRefused, PlatformUnavailable."""
        return await self._of(order).carry_out(order)

    async def tidy(self, unfinished: Collection[str]) -> tuple[Leftover, ...]:
        """Ends what other orders left behind. Raises PlatformUnavailable, RemediationRefused."""
        return await self._leftovers.tidy(unfinished)

    def _of(self, order: Order) -> RollingRestarts | SingleReplicas:
        return self._replicas if order.stepwise else self._restarts
