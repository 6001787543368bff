"""What is published: `python -m release` builds it, `python -m release.audit` asks for vulnerabilities."""
