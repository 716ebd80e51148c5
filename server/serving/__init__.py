"""The server as a process: stdio and HTTP, who may call and how much, several workers, live reports, telemetry."""
