//! What the crate does, across its rooms: a module per behaviour, its name part of a sentence.

mod allocations;
mod axum_extractors;
mod common;
mod concurrent_logins;
mod config_validation;
mod cookie_properties;
mod credential_matrix;
mod custom_login_form;
mod events;
mod foreign_tokens;
mod form_deadlines;
mod fuzzing;
mod glob_import;
mod http_connection;
mod hub;
mod hub_client_limits;
mod hub_client_logout;
mod hub_client_tls_config;
mod hub_client_token_lookup;
#[cfg(feature = "jupyter")]
mod jupyter_runtime_files;
mod launch_links;
mod login_cookie_settings;
mod login_form;
mod login_rate_limiting;
mod logout_revocation;
mod manual;
mod module_layering;
mod page_style;
mod password_change_form;
mod redirect_properties;
mod request_matrix;
mod secret_file_races;
mod secret_scanner;
mod secrets_not_leaked;
mod serde_values;
mod session_lifetime;
#[cfg(feature = "sqlite")]
mod stores;
mod subprocess;
mod testing_utilities;
mod token_login;
mod tower_services;
mod use_cases;
mod vectors;
