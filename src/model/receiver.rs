//! Who is told how runs end, besides the forge.

use serde::{Deserialize, Serialize};

use super::Conclusion;

/// Somebody who is told how a flow's runs end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    /// How.
    #[serde(rename = "type")]
    pub way: Way,
    /// Where: a mail address, or a URL.
    pub address: String,
    /// Of which ends.
    pub on: Vec<News>,
}

/// How somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// By mail.
    Mail,
    /// By a signed `POST`.
    Webhook,
}

/// What somebody wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum News {
    /// A run did not succeed, or was over its time.
    Failure,
    /// A run succeeded after one of the same flow and branch that had not.
    Fixed,
    /// A run succeeded.
    Success,
    /// A run ended, however it did.
    Always,
}

impl Way {
    /// As flow files have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }

    /// The way of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Mail, Self::Webhook].into_iter().find(|way| way.as_str() == name)
    }
}

impl News {
    /// All of them, in the order of the documents.
    pub const ALL: [Self; 4] = [Self::Failure, Self::Fixed, Self::Success, Self::Always];

    /// As flow files have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Fixed => "fixed",
            Self::Success => "success",
            Self::Always => "always",
        }
    }
}

impl Receiver {
    /// As what somebody hears of this end, after the one before it of the same flow and branch; `None`: they don't.
    /// What was left out is nobody's news.
    pub fn hears(&self, end: Conclusion, before: Option<Conclusion>) -> Option<News> {
        let news = match (end.is_good(), before.and_then(Conclusion::is_good)) {
            (Some(Good::No), _) => Some(News::Failure),
            (Some(Good::Yes), Some(Good::No)) => Some(News::Fixed),
            (Some(Good::Yes), _) => Some(News::Success),
            (None, _) if end == Conclusion::Skipped => return None,
            (None, _) => None,
        };
        let wants = |wanted: News| self.on.contains(&wanted);
        match news {
            Some(news) if wants(news) || wants(News::Always) => Some(news),
            Some(News::Fixed) if wants(News::Success) => Some(News::Fixed),
            None if wants(News::Always) => Some(News::Always),
            Some(_) | None => None,
        }
    }
}

/// Whether an end says that the code is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Good {
    /// It is.
    Yes,
    /// Nobody can say so.
    No,
}

impl Conclusion {
    /// Whether a run with this end says that the code is good; `None`: it says nothing.
    pub const fn is_good(self) -> Option<Good> {
        match self {
            Self::Success | Self::Warning => Some(Good::Yes),
            Self::Failure | Self::TimedOut | Self::Error => Some(Good::No),
            Self::Cancelled | Self::Skipped => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_hears_of_what_they_want_and_of_nothing_else() {
        let hears = |on: &[News], end, before| {
            Receiver { way: Way::Mail, address: String::new(), on: on.to_vec() }.hears(end, before)
        };
        let (good, bad, gone) = (Conclusion::Success, Conclusion::Failure, Conclusion::Cancelled);
        let usual = [News::Failure, News::Fixed];
        assert_eq!(hears(&usual, bad, None), Some(News::Failure));
        assert_eq!(hears(&usual, Conclusion::TimedOut, Some(bad)), Some(News::Failure));
        assert_eq!(hears(&usual, good, Some(bad)), Some(News::Fixed));
        for (end, before) in [(good, None), (good, Some(good)), (gone, Some(bad)), (Conclusion::Skipped, Some(bad))] {
            assert_eq!(hears(&usual, end, before), None, "{end}");
        }
        assert_eq!(hears(&[News::Success], good, Some(bad)), Some(News::Fixed));
        assert_eq!(hears(&[News::Always], good, None), Some(News::Success));
        assert_eq!(hears(&[News::Always], gone, None), Some(News::Always));
        assert_eq!(hears(&[News::Always], Conclusion::Skipped, None), None);
    }
}
