//! The writer of a page.

use std::fmt::Write as _;

use bytes::Bytes;
use http::HeaderValue;

use super::style::{PageStyle, push_escaped};

/// A page with a heading, written part by part. All text is escaped where it is written.
///
/// Spans between backticks become `code`.
pub(crate) struct Page<'a> {
    html: String,
    style: &'a PageStyle,
}

impl<'a> Page<'a> {
    pub(crate) fn new(style: &'a PageStyle, title: &str) -> Self {
        Self::of_class(style, title, "")
    }

    /// A wide page, for lists.
    pub(crate) fn wide(style: &'a PageStyle, title: &str) -> Self {
        Self::of_class(style, title, " class=\"wide\"")
    }

    fn of_class(style: &'a PageStyle, title: &str, class: &str) -> Self {
        let (title, mut html) = (style.text(title), String::new());
        style.push_head(&mut html, title, class);
        html.push_str("<h1>");
        push_escaped(&mut html, title);
        html.push_str("</h1>");
        Self { html, style }
    }

    /// A paragraph, or nothing if there is no text.
    pub(crate) fn paragraph(self, text: &str) -> Self {
        self.block("<p>", text, "</p>")
    }

    /// A paragraph of lesser weight.
    pub(crate) fn muted(self, text: &str) -> Self {
        self.block("<p class=\"soft\">", text, "</p>")
    }

    /// What went wrong; a screen reader says it at once.
    pub(crate) fn alert(self, text: &str) -> Self {
        self.block("<p class=\"alert\" role=\"alert\">", text, "</p>")
    }

    /// What a part of the page is about.
    #[cfg(feature = "hub-server")]
    pub(crate) fn heading(self, text: &str) -> Self {
        self.block("<h2>", text, "</h2>")
    }

    /// One item of a list: its name, its details, and optionally a button with the form that it posts to `action`.
    pub(crate) fn item(
        mut self,
        name: &str,
        details: &str,
        button: Option<(&str, &str)>,
        fill: impl FnOnce(&mut FormFields<'_>),
    ) -> Self {
        self.html.push_str("<section class=\"item\"><div>");
        self = self.user_text("<p>", name, "</p>").muted(details);
        self.html.push_str("</div>");
        if let Some((action, button)) = button {
            self = self.form(action, button, fill);
        }
        self.html.push_str("</section>");
        self
    }

    /// A form whose button is not the main one.
    pub(crate) fn secondary_form(
        mut self,
        action: &str,
        button: &str,
        fill: impl FnOnce(&mut FormFields<'_>),
    ) -> Self {
        let start = self.html.len();
        self = self.form(action, button, fill);
        if let Some(place) = self.html.rfind("<button").filter(|place| *place >= start) {
            self.html.insert_str(place + "<button".len(), " class=\"plain\"");
        }
        self
    }

    /// A form that posts to `action`, or to the page's own URL if that is empty, with what `fill` puts into it and a button.
    pub(crate) fn form(mut self, action: &str, button: &str, fill: impl FnOnce(&mut FormFields<'_>)) -> Self {
        self.html.push_str("<form method=\"post\"");
        if !action.is_empty() {
            self.html.push_str(" action=\"");
            push_escaped(&mut self.html, action);
            self.html.push('"');
        }
        self.html.push('>');
        fill(&mut FormFields(&mut self.html, self.style));
        self.html.push_str("<button type=\"submit\">");
        push_escaped(&mut self.html, self.style.text(button));
        self.html.push_str("</button></form>");
        self
    }

    /// A link on a line of its own.
    pub(crate) fn link(mut self, target: &str, text: &str) -> Self {
        self.html.push_str("<p><a href=\"");
        push_escaped(&mut self.html, target);
        self.html.push_str("\">");
        push_escaped(&mut self.html, self.style.text(text));
        self.html.push_str("</a></p>");
        self
    }

    /// What a page may load and do.
    pub(crate) fn content_security_policy(&self) -> HeaderValue {
        self.style.content_security_policy().clone()
    }

    pub(crate) fn finish(mut self) -> Bytes {
        self.style.push_end(&mut self.html);
        self.html.into()
    }

    fn block(self, open: &str, text: &str, close: &str) -> Self {
        let text = self.style.text(text);
        self.user_text(open, text, close)
    }

    /// Text that is never translated.
    fn user_text(mut self, open: &str, text: &str, close: &str) -> Self {
        if text.is_empty() {
            return self;
        }
        self.html.push_str(open);
        for (place, span) in text.split('`').enumerate() {
            let is_code = place % 2 == 1;
            self.html.push_str(if is_code { "<code>" } else { "" });
            push_escaped(&mut self.html, span);
            self.html.push_str(if is_code { "</code>" } else { "" });
        }
        self.html.push_str(close);
        self
    }
}

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

impl FormFields<'_> {
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

    /// A labelled field that must be filled in. The first of a page is where typing begins.
    pub(crate) fn field(&mut self, kind: FieldKind, name: &str, label: &str, first: bool) {
        self.filled_field(kind, name, label, first, "");
    }

    /// The same, filled in already.
    pub(crate) fn filled_field(
        &mut self,
        kind: FieldKind,
        name: &str,
        label: &str,
        first: bool,
        value: &str,
    ) {
        let (input, autocomplete) = match kind {
            #[cfg(feature = "hub-server")]
            FieldKind::Optional => ("text", "off"),
            FieldKind::NewPassword => ("password", "new-password"),
            FieldKind::Password => ("password", "current-password"),
            FieldKind::Username => ("text", "username"),
        };
        let required = match kind {
            #[cfg(feature = "hub-server")]
            FieldKind::Optional => "",
            _ => " required",
        };
        let id = format!("{name}-{}", self.0.len());
        let _ = write!(self.0, "<label for=\"{id}\">");
        push_escaped(self.0, self.1.text(label));
        let _ = write!(
            self.0,
            "</label><input id=\"{id}\" type=\"{input}\" name=\"{name}\" autocomplete=\"{autocomplete}\" \
             autocapitalize=\"none\" spellcheck=\"false\"{required}{}>",
            if first { " autofocus" } else { "" }
        );
        if !value.is_empty() {
            self.0.truncate(self.0.len() - ">".len());
            self.0.push_str(" value=\"");
            push_escaped(self.0, value);
            self.0.push_str("\">");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_text_is_escaped_and_backticks_make_code() {
        let html = Page::new(&PageStyle::default(), "a <b>")
            .paragraph("x & \"y\"")
            .muted("see `<i>` there")
            .alert("")
            .finish();
        let html = std::str::from_utf8(&html).expect("text");
        assert!(html.contains("<h1>a &lt;b&gt;</h1><p>x &amp; &quot;y&quot;</p>"));
        assert!(html.contains("<p class=\"soft\">see <code>&lt;i&gt;</code> there</p></main>"));
    }

    #[test]
    fn a_form_posts_and_names_its_fields_for_people_and_password_managers() {
        let style = PageStyle::default();
        let html = Page::new(&style, "Log in").form("/login?next=\"", "Log in", |fields| {
            fields.hidden("_xsrf", "x\"1");
            fields.field(FieldKind::Password, "password", "Password", true);
        });
        let html = String::from_utf8(html.finish().to_vec()).expect("text");
        for part in [
            "<form method=\"post\" action=\"/login?next=&quot;\">",
            "<input type=\"hidden\" name=\"_xsrf\" value=\"x&quot;1\">",
            "type=\"password\" name=\"password\" autocomplete=\"current-password\"",
            "required autofocus>",
            "<button type=\"submit\">Log in</button></form>",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }
}
