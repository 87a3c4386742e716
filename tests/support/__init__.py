"""What the tests share: a real IOC in a subprocess, ports, and waiting for conditions."""
