//! Messages as a helpdesk gets them: many senders, replies, a few very common subjects, sizes around
//! a median of 15 KB with a long tail.

use std::fmt::Write as _;

const SUBJECTS: [&str; 8] = [
    "Invoice",
    "Hello",
    "Your order",
    "Question",
    "Meeting",
    "Offer",
    "Delivery",
    "Support request",
];

/// SplitMix64: the same messages on every machine and in every version.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn fraction(&mut self) -> f64 {
        self.below(1 << 32) as f64 / (1_u64 << 32) as f64
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    fn subject(&mut self) -> &'static str {
        let index = usize::try_from(self.below(8)).unwrap_or_default();
        SUBJECTS.get(index).copied().unwrap_or_default()
    }
}

/// `count` messages to `to`, always the same ones.
pub(crate) fn many(count: u32, to: &str) -> Vec<Vec<u8>> {
    let mut random = Sequence(11);
    (0..count)
        .map(|number| message(number, to, &mut random))
        .collect()
}

fn message(number: u32, to: &str, random: &mut Sequence) -> Vec<u8> {
    let sender = random.below(2_000);
    let subject = if random.chance(0.3) {
        random.subject().to_owned()
    } else {
        format!("{} {}", random.subject(), random.below(100_000))
    };
    let mut text = String::new();
    let reply = number > 0 && random.chance(0.4);
    let _ = write!(
        text,
        "From: Customer {sender} <customer{sender}@far.example>\r\nTo: <{to}>\r\nSubject: {}{subject}\r\nMessage-ID: <m{number}@far.example>\r\nDate: Sun, 22 Nov 2026 10:{:02}:{:02} +0000\r\n",
        if reply { "Re: " } else { "" },
        number / 60 % 60,
        number % 60,
    );
    if reply {
        let parent = random.below(u64::from(number));
        let _ = write!(
            text,
            "In-Reply-To: <m{parent}@far.example>\r\nReferences: <m{parent}@far.example>\r\n"
        );
    }
    // Log-normal around 15 KB: most messages between 4 and 60 KB, a few of several hundred.
    let spread: f64 = (0..12).map(|_| random.fraction()).sum::<f64>() - 6.0;
    let size = (15_000.0 * (0.9 * spread).exp()).clamp(500.0, 4_000_000.0);
    let boundary = "=_boundary_of_the_parts";
    let _ = write!(
        text,
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    );
    let body = size * 0.4;
    while (text.len() as f64) < body {
        let _ = write!(
            text,
            "Line {} of what customer {sender} has to say about it.\r\n",
            text.len()
        );
    }
    let _ = write!(
        text,
        "\r\n--{boundary}\r\nContent-Type: application/pdf; name=\"paper{number}.pdf\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"paper{number}.pdf\"\r\n\r\n"
    );
    while (text.len() as f64) < size {
        for _ in 0..19 {
            let _ = write!(text, "{:04x}", random.below(0x1_0000));
        }
        text.push_str("\r\n");
    }
    let _ = write!(text, "--{boundary}--\r\n");
    text.into_bytes()
}

/// One message with an attachment of that many million bytes, as they stand in the message.
pub(crate) fn large(megabytes: u32, to: &str) -> Vec<u8> {
    let size = usize::try_from(megabytes)
        .unwrap_or(usize::MAX)
        .saturating_mul(1_000_000);
    let boundary = "=_boundary_of_the_parts";
    let mut text = format!(
        "From: Customer <customer@far.example>\r\nTo: <{to}>\r\nSubject: Very large\r\nMessage-ID: <large@far.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\nContent-Type: text/plain\r\n\r\nSee attached.\r\n--{boundary}\r\nContent-Type: application/octet-stream; name=\"film.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    .into_bytes();
    let line = [b"QUJD".repeat(19), b"\r\n".to_vec()].concat();
    text.reserve(size);
    while text.len() < size {
        text.extend_from_slice(&line);
    }
    text.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    text
}
