"""
Deliveries: events that are sent to webhooks, and commands that run on events.
"""
