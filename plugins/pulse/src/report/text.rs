//! How numbers and subjects are written for people.

use nova_sdk::analytics::Scope;

/// A number with up to four significant digits and no trailing zeros.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A part of a whole as a percentage.
pub(crate) fn percent(ratio: f64) -> String {
    format!("{} %", number((ratio * 1000.0).round() / 10.0))
}

/// A duration in the unit that suits it.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{} s", number(s)),
        s if s < 7200.0 => format!("{} min", number((s / 6.0).round() / 10.0)),
        s => format!("{} h", number((s / 360.0).round() / 10.0)),
    }
}

/// A moment, milliseconds since 1970-01-01 UTC, as RFC 3339 to the second. The calendar is
/// Hinnant's `civil_from_days` (chrono-Compatible Low-Level Date Algorithms).
pub(crate) fn moment(time_ms: u64) -> String {
    let (days, second) = (time_ms / 86_400_000, time_ms / 1000 % 86_400);
    let since_march_of_0 = days + 719_468;
    let (era, day_of_era) = (since_march_of_0 / 146_097, since_march_of_0 % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let second = second % 60;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A subject as the placeholder that the host replaces, or the whole scope.
pub(crate) fn subject(scope: Scope, index: Option<u32>) -> String {
    let (one, all) = match scope {
        Scope::Flows => ("flow", "All flows together"),
        Scope::Agents => ("agent", "All agents together"),
        Scope::Resources => ("resource", "All resources together"),
    };
    match index {
        Some(index) => format!("{{{one}:{index}}}"),
        None => all.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_percentages_durations_and_names() {
        assert_eq!(number(12.34567), "12.35");
        assert_eq!(number(0.000_123_4), "0.0001234");
        assert_eq!(number(123_456.7), "123457");
        assert_eq!(percent(0.8333), "83.3 %");
        assert_eq!(duration(90.0), "90 s");
        assert_eq!(duration(600.0), "10 min");
        assert_eq!(duration(9000.0), "2.5 h");
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(951_827_696_999), "2000-02-29T12:34:56Z");
        assert_eq!(moment(1_700_004_240_000), "2023-11-14T23:24:00Z");
        assert_eq!(moment(1_704_067_199_000), "2023-12-31T23:59:59Z");
        assert_eq!(subject(Scope::Agents, Some(4)), "{agent:4}");
        assert_eq!(subject(Scope::Flows, None), "All flows together");
    }
}
