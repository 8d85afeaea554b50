//! tokens_in_query
