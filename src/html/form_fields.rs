//! The fields of a form.

use std::fmt::Write as _;

use super::style::{PageStyle, push_escaped};

/// The id of the paragraph that says what is wrong. Fields that are invalid refer to it.
pub(super) const ALERT_ID: &str = "alert";

/// The fields of a form.
pub(crate) struct FormFields<'a>(&'a mut String, &'a PageStyle);

/// What a field of a form is for: its kind, and what a password manager puts into it.
#[derive(Clone, Copy)]
pub(crate) enum FieldKind {
    /// Anything; it may be left empty.
    #[cfg(feature = "hub-server")]
    Optional,
    NewPassword,
    Password,
    Username,
}

/// A labelled field.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    kind: FieldKind,
    name: &'a str,
    label: &'a str,
    value: &'a str,
    is_first: bool,
    error: FieldError<'a>,
}

/// What is wrong with the value of a field.
#[derive(Clone, Copy)]
pub(crate) enum FieldError<'a> {
    None,
    /// The page's alert says it.
    InAlert,
    /// The field says it itself.
    #[cfg_attr(not(feature = "hub-server"), allow(dead_code))]
    Text(&'a str),
}

impl<'a> Field<'a> {
    /// Names are letters and `_`.
    pub(crate) fn new(kind: FieldKind, name: &'a str, label: &'a str) -> Self {
        Self {
            kind,
            name,
            label,
            value: "",
            is_first: false,
            error: FieldError::None,
        }
    }

    /// The field in which typing begins, if `is_first`.
    pub(crate) fn first(self, is_first: bool) -> Self {
        Self { is_first, ..self }
    }

    /// The field is filled in already.
    pub(crate) fn filled(self, value: &'a str) -> Self {
        Self { value, ..self }
    }

    pub(crate) fn with_error(self, error: FieldError<'a>) -> Self {
        Self { error, ..self }
    }
}

impl<'a> FormFields<'a> {
    pub(super) fn new(html: &'a mut String, style: &'a PageStyle) -> Self {
        Self(html, style)
    }

    pub(crate) fn hidden(&mut self, name: &str, value: &str) {
        self.0.push_str("<input type=\"hidden\" name=\"");
        push_escaped(self.0, name);
        self.0.push_str("\" value=\"");
        push_escaped(self.0, value);
        self.0.push_str("\">");
    }

    /// A labelled choice of one value among several, of which `selected` is chosen at first.
    #[cfg(feature = "hub-server")]
    pub(crate) fn choice(&mut self, name: &str, label: &str, values: &[(&str, &str)], selected: &str) {
        let id = format!("{name}-{}", self.0.len());
        let _ = write!(self.0, "<label for=\"{id}\">");
        push_escaped(self.0, self.1.text(label));
        let _ = write!(self.0, "</label><select id=\"{id}\" name=\"{name}\">");
        for (value, text) in values {
            self.0.push_str("<option value=\"");
            push_escaped(self.0, value);
            self.0
                .push_str(if *value == selected { "\" selected>" } else { "\">" });
            push_escaped(self.0, self.1.text(text));
            self.0.push_str("</option>");
        }
        self.0.push_str("</select>");
    }

    /// A labelled checkbox, whose value is `on` if it is ticked.
    pub(crate) fn checkbox(&mut self, name: &str, label: &str, ticked: bool) {
        let ticked = if ticked { " checked" } else { "" };
        let _ = write!(
            self.0,
            "<label class=\"check\"><input type=\"checkbox\" name=\"{name}\"{ticked}> "
        );
        push_escaped(self.0, self.1.text(label));
        self.0.push_str("</label>");
    }

    /// A labelled field.
    pub(crate) fn field(&mut self, field: Field<'_>) {
        let (input, autocomplete, required) = match field.kind {
            #[cfg(feature = "hub-server")]
            FieldKind::Optional => ("text", "off", ""),
            FieldKind::NewPassword => ("password", "new-password", " required"),
            FieldKind::Password => ("password", "current-password", " required"),
            FieldKind::Username => ("text", "username", " required"),
        };
        let name = field.name;
        let id = format!("{name}-{}", self.0.len());
        let _ = write!(self.0, "<label for=\"{id}\">");
        push_escaped(self.0, self.1.text(field.label));
        let _ = write!(
            self.0,
            "</label><input id=\"{id}\" type=\"{input}\" name=\"{name}\" autocomplete=\"{autocomplete}\" \
             autocapitalize=\"none\" spellcheck=\"false\"{required}"
        );
        let described_by = match field.error {
            FieldError::None => None,
            FieldError::InAlert => Some(ALERT_ID.to_owned()),
            FieldError::Text(_) => Some(format!("{id}-error")),
        };
        if let Some(described_by) = &described_by {
            let _ = write!(
                self.0,
                " aria-invalid=\"true\" aria-describedby=\"{described_by}\""
            );
        }
        if !field.value.is_empty() {
            self.0.push_str(" value=\"");
            push_escaped(self.0, field.value);
            self.0.push('"');
        }
        self.0.push_str(if field.is_first { " autofocus>" } else { ">" });
        if let FieldError::Text(text) = field.error {
            let _ = write!(self.0, "<p class=\"error\" id=\"{id}-error\">");
            push_escaped(self.0, self.1.text(text));
            self.0.push_str("</p>");
        }
    }
}
