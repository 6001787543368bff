"""The services we talk to, whatever the platform."""
