"""`python -m deploy.check`: runs the steps of deploy/Containerfile without a container engine, and what they made."""
