//! cookie_values
