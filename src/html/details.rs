//! The line below the name of an item.

use std::fmt::Write as _;

use super::{
    dates::{iso_date, relative_time, utc_date},
    style::{PageStyle, push_escaped},
};
use crate::clock::UnixTime;

/// The facts about an item: parts in one line.
#[derive(Default)]
pub(crate) struct Details(String);

impl Details {
    /// Adds a part, or nothing if there is no text.
    pub(crate) fn text(mut self, text: &str) -> Self {
        if !text.is_empty() {
            self.separate();
            push_escaped(&mut self.0, text);
        }
        self
    }

    /// Adds a time as it is seen `now`: "5 minutes ago" for `{}` in `label`. Programs and those who point at it see the
    /// date.
    pub(crate) fn time(mut self, style: &PageStyle, label: &str, time: UnixTime, now: UnixTime) -> Self {
        self.separate();
        let label = style.text(label);
        let (before, after) = label.split_once("{}").unwrap_or((label, ""));
        push_escaped(&mut self.0, before);
        let (date, text) = (utc_date(time), relative_time(style, time, now));
        let _ = write!(self.0, "<time datetime=\"{}\" title=\"{date}\">", iso_date(time));
        push_escaped(&mut self.0, &text);
        self.0.push_str("</time>");
        push_escaped(&mut self.0, after);
        self
    }

    /// The parts, escaped.
    pub(super) fn as_html(&self) -> &str {
        &self.0
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.push_str(" \u{b7} ");
        }
    }
}
