"""From numbers to tables, figures, the ledger of claims and the report."""
