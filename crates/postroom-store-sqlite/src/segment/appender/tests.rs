use super::*;

fn content(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from((at * 31 + seed * 17 + at / 251) % 251).unwrap())
        .collect()
}

/// Appends pieces of these sizes, flushing behind each group, and compares the file.
fn compare(sync: bool, begin: u64, groups: &[&[usize]]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut expected = content(usize::try_from(begin).unwrap(), 0);
    std::fs::write(&path, &expected).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let mut appender = Appender::new(file, begin, sync);
    for (group, sizes) in groups.iter().enumerate() {
        // What is given up leaves nothing that is seen.
        let before = appender.position();
        let given_up = RawMessage::from_bytes(vec![0xee; 3_000_000]);
        appender.append(&given_up).unwrap();
        appender.go_back(before);
        for (piece, size) in sizes.iter().enumerate() {
            let bytes = content(*size, 10 * group + piece);
            expected.extend_from_slice(&bytes);
            let checksum = crc32fast::hash(&bytes);
            let told = appender.append(&RawMessage::from_bytes(bytes)).unwrap();
            assert_eq!(told, (u64::try_from(*size).unwrap(), checksum));
        }
        appender.flush().unwrap();
        let end = usize::try_from(appender.position()).unwrap();
        assert_eq!(end, expected.len());
        let stands = std::fs::read(&path).unwrap();
        assert!(
            stands.get(..end) == Some(expected.as_slice()),
            "the file differs behind group {group}, from {begin}, sync {sync}"
        );
    }
}

#[test]
fn what_is_appended_stands_in_the_file() {
    for sync in [true, false] {
        for begin in [0, 8, 4095] {
            compare(sync, begin, &[&[1], &[4095, 1, 4096], &[0, 100_000]]);
            compare(sync, begin, &[&[300_000], &[15_000; 200], &[7]]);
            compare(
                sync,
                begin,
                &[
                    &[COLLECTED_BYTES, 1, COLLECTED_BYTES + 1],
                    &[4_000_000, 9],
                    &[131_072, 2_000_001],
                ],
            );
        }
    }
}
