//! Where on the host the gate lives.
