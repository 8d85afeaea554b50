-- The groups of a session's user, and whether the user is an administrator, as JSON; none for neither.
ALTER TABLE portcullis_sessions ADD COLUMN membership TEXT;
