from controller.inventory.workload import Autoscaler
from controller.reporting import notices
from tests.fakes import NOW, a_judgement, a_workload
from tests.reporting.test_incident_document import an_incident


def detected(autoscaler: Autoscaler | None) -> str:
    workload = a_workload(autoscaler=autoscaler)
    return notices.leak_detected(an_incident(), workload, a_judgement(), NOW)[0].message


def test_autoscaler_on_memory_is_warned_of_where_a_leak_is_told() -> None:
    on_memory = Autoscaler(name="scaler", maximum=9, wants_more=False, on_memory=True)
    on_cpu = Autoscaler(name="scaler", maximum=9, wants_more=False, on_memory=False)

    assert "HorizontalPodAutoscaler scaler counts memory" in detected(on_memory)
    assert "Autoscaler" not in detected(on_cpu)
    assert "Autoscaler" not in detected(None)
