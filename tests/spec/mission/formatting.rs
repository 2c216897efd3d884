//! Numbers as people read them.

use lazarus::mission::text::format_bytes;
use lazarus::mission::time::format_age;

#[test]
fn bytes_are_formatted_in_the_largest_unit_that_fits_with_tenths() {
    for (bytes, spoken) in [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1 KiB"),
        (1_536, "1.5 KiB"),
        ((1 << 20) - 1, "1023.9 KiB"),
        (1 << 20, "1 MiB"),
        (1 << 30, "1 GiB"),
        (3 << 29, "1.5 GiB"),
        (1 << 60, "1 EiB"),
        (u64::MAX, "15.9 EiB"),
    ] {
        assert_eq!(format_bytes(bytes), spoken, "{bytes}");
    }
}

#[test]
fn an_age_is_formatted_in_the_largest_unit_with_two_or_more() {
    for (seconds, spoken) in [
        (-1, "ahead of the clock"),
        (0, "0 seconds ago"),
        (1, "1 second ago"),
        (119, "119 seconds ago"),
        (120, "2 minutes ago"),
        (7_199, "119 minutes ago"),
        (7_200, "2 hours ago"),
        (172_799, "47 hours ago"),
        (172_800, "2 days ago"),
    ] {
        assert_eq!(format_age(seconds), spoken, "{seconds}");
    }
}
