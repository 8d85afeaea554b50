//! secret_files
