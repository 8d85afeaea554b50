//! What the crate does, across its rooms: a module per behaviour, its name part of a sentence.

mod a_hub_is_asked_within_limits;
mod a_hub_says_who_somebody_is;
mod a_launch_link_opens_once;
mod a_login_form_of_ones_own;
mod a_login_lasts_and_ends;
mod a_logout_at_a_hubs_server;
mod a_logout_ends_the_session;
mod allocations;
mod canary;
mod certificates_of_a_hub_are_read_when_configuring;
mod child;
mod configuring_fails_when_configuring;
mod cookie_properties;
mod credential_matrix;
mod every_decision_is_an_event;
mod floors;
mod form_bodies_have_a_deadline;
mod fuzzing;
mod guessing_passwords_takes_for_ever;
mod handlers_take_the_session;
mod hub;
#[cfg(feature = "jupyter")]
mod jupyters_tools_find_the_server;
mod manual;
mod many_log_in_at_once;
mod no_secret_is_shown;
mod people_log_in_by_the_form;
mod redirect_properties;
mod secret_file_races;
mod services;
#[cfg(feature = "sqlite")]
mod stores;
mod support;
mod tests_of_users;
mod the_password_is_changed_by_the_form;
mod tokens_log_in;
mod use_cases;
mod vectors;
mod what_happens_to_which_request;
mod wire;
