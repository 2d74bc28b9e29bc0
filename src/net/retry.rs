//! How long to wait before a request is sent again.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use super::Patience;

/// How often a request is sent at most.
pub(crate) const ATTEMPTS: u32 = 5;
/// A server may not park us for longer than this.
const LONGEST_ASKED: Duration = Duration::from_mins(2);
const LONGEST_OWN: Duration = Duration::from_secs(30);

/// The pause before attempt `next` (2 and up): what the server asked for, else doubling with
/// ±20 %, so that clients that failed together don't come back together.
pub(crate) fn pause_before(next: u32, patience: Patience, asked: Option<Duration>) -> Duration {
    if let Some(asked) = asked {
        return asked.min(LONGEST_ASKED);
    }
    let own = patience
        .pause
        .saturating_mul(1 << next.saturating_sub(2).min(10))
        .min(LONGEST_OWN);
    // A hasher with random keys is the only randomness that the standard library offers.
    let random = u32::try_from(RandomState::new().build_hasher().finish() % 41).unwrap_or(20);
    own * (80 + random) / 100
}

/// `Retry-After` in seconds or as a date; a date is compared with the server's own clock.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let asked = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = |date: &str| rfc2822::DateTimeParser::new().parse_timestamp(date).ok();
    let seconds = moment(asked)?.as_second() - moment(text(DATE)?)?.as_second();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (asked, now, seconds) in [
            ("7", None, Some(7)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(date), Some(30)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(date), Some(0)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", None, None),
            ("soon", Some(date), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, asked.parse().unwrap());
            if let Some(now) = now {
                headers.insert(DATE, now.parse().unwrap());
            }
            assert_eq!(
                retry_after(&headers).map(|d| d.as_secs()),
                seconds,
                "{asked}"
            );
        }
    }

    #[test]
    fn pauses_double_and_are_bounded() {
        let patience = Patience::default();
        for (next, low, high) in [
            (2, 400, 600),
            (3, 800, 1200),
            (5, 3200, 4800),
            (40, 24_000, 36_000),
        ] {
            let pause = pause_before(next, patience, None).as_millis();
            assert!((low..=high).contains(&pause), "{next}: {pause}");
        }
        let asked = Some(Duration::from_hours(1));
        assert_eq!(pause_before(2, patience, asked).as_secs(), 120);
    }
}
