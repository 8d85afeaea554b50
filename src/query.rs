//! The query of a request: read once, scrubbed for logs, cleaned for redirects.
