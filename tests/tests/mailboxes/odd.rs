//! Messages as nobody should make them, and somebody does.

/// All of them: each is another one.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let header = |number: usize| {
        format!(
            "From: Customer <c{number}@far.example>\r\nTo: <desk@here.example>\r\nSubject: Odd {number}\r\nMessage-ID: <odd{number}@far.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
        )
    };
    let with = |number: usize, rest: &[u8]| [header(number).as_bytes(), rest].concat();
    let part = "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    vec![
        with(1, b"\r\nplain\r\n"),
        with(2, b"\r\nno line end"),
        with(3, b"\r\n"),
        with(4, b""),
        with(5, b"\r\n.\r\n..\r\n.dots at the beginning\r\n.\r\n"),
        with(6, b"\r\nzero \0 bytes \0\r\n"),
        with(7, b"\r\nbytes \xe9\xff\x80 of no charset\r\n"),
        with(8, "X-Name: \u{e9}\u{1f600}\r\n\r\nbare characters in a header\r\n".as_bytes()),
        with(9, [b"\r\n".as_slice(), &b"x".repeat(200_000), b"\r\n"].concat().as_slice()),
        with(10, [b"X-Long: ".as_slice(), &b"y".repeat(100_000), b"\r\n\r\nlong\r\n"].concat().as_slice()),
        String::from_utf8_lossy(&with(11, b"\r\nbare line ends\r\n"))
            .replace("\r\n", "\n")
            .into_bytes(),
        with(12, b"\r\n* 1 FETCH (BODY[] {5}\r\n)\r\np1 OK done\r\n"),
        with(13, b"\r\n+OK\r\n-ERR\r\nQUIT\r\n"),
        with(14, format!("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(60)).as_bytes()),
        with(15, b"Content-Type: text/plain; charset=no-such\r\nContent-Transfer-Encoding: nonsense\r\n\r\n?\r\n"),
        with(16, b"Content-Type: multipart/mixed; boundary=\"never\"\r\n\r\nno part at all\r\n"),
        with(17, [b"\r\n".as_slice(), &b"0123456789\r\n".repeat(300_000)].concat().as_slice()),
        with(18, b"Subject: a second one\r\nFrom: <other@far.example>\r\n\r\ntwo of everything\r\n"),
        b"From: <nobody@far.example>\r\nSubject: no id, no date\r\n\r\nhello\r\n".to_vec(),
        b"Subject: no sender\r\nMessage-ID: <nosender@far.example>\r\n\r\nhello\r\n".to_vec(),
        b"not a header at all\r\nnor this\r\n".to_vec(),
        b"\r\nonly a body\r\n".to_vec(),
        b"From nobody Sun Nov 22 10:00:00 2026\r\nFrom: <mbox@far.example>\r\nMessage-ID: <mbox@far.example>\r\n\r\nmbox\r\n".to_vec(),
        b"From: =?utf-8?q?broken <x@far.example>\r\nSubject: =?iso-8859-1?b?////?= =?x?y?z?=\r\nMessage-ID: <<>>\r\n\r\nencoded\r\n".to_vec(),
    ]
}
