"""The long-running controller: kopf watches policies, a schedule sweeps, a server answers probes."""
