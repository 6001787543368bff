"""The flow: gather, judge, decide, act, check, tell. Start reading at `controller.sweep.flow`."""
