"""Who is told what, and when: events, escalation, outbox; and the audit."""
