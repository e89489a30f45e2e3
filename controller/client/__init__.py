"""Requests to the API server: values (`requests`), authentication (`config`), IO (`transport`)."""
