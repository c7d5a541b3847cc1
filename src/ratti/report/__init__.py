"""What people read: tables on the terminal, the model card, reports."""
