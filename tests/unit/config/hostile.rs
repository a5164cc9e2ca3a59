//! Text that nobody would write: no panic, no hang, and every place lies inside the text.

use proptest::prelude::*;

use super::{FULL, HORRIBLE, INIT_DEFAULTS, cluster, document, init, load};

#[test]
fn many_problems_and_many_entries_stay_bounded() {
    let begun = std::time::Instant::now();
    let unknown = (0..40_000).map(|index| format!("podSubnet{index}: 1\n")).collect::<Vec<_>>().concat();
    assert_eq!(cluster(&unknown).unwrap_err().len(), 1000);
    let sans = (0..50_000).map(|index| format!("  - n{index}.a\n")).collect::<Vec<_>>().concat();
    assert_eq!(
        cluster(&format!("apiServer:\n  certSANs:\n{sans}")).unwrap().cluster.api_server_cert_sans.len(),
        50_000
    );
    let taints =
        (0..20_000).map(|index| format!("  - {{key: k{index}, effect: NoExecute}}\n")).collect::<Vec<_>>().concat();
    assert_eq!(init(&format!("nodeRegistration:\n  taints:\n{taints}")).unwrap().node.taints.len(), 20_000);
    let nameless = "  - {effect: NoExecute}\n".repeat(20_000);
    assert_eq!(init(&format!("nodeRegistration:\n  taints:\n{nameless}")).unwrap_err().len(), 1000);
    // Seconds in a debug build on a busy machine; anything quadratic takes minutes.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

/// Every place exists in the text, and the problems are in order.
fn places_are_inside(text: &str) {
    let result = load(text);
    let problems = result.map_or_else(|problems| problems, |_| vec![]);
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = lines.split('\n').collect();
    let mut before = None;
    for problem in &problems {
        if let Some(place) = &problem.place {
            assert!((1..=lines.len()).contains(&place.line), "{problem}");
            let width = lines[place.line - 1].chars().count();
            assert!((1..=width + 1).contains(&place.column), "{problem}");
            assert!(before.as_ref().is_none_or(|before| *before <= place), "{problem}");
            before = Some(place);
        }
        assert!(!problem.to_string().contains(char::is_control), "{problem}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}") {
        places_are_inside(&text);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        places_are_inside(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_yaml_is_survived(parts in prop::collection::vec(prop::sample::select(vec![
        "apiVersion: kubeadm.k8s.io/v1beta4\n", "kind: InitConfiguration\n", "kind: ClusterConfiguration\n", "---\n", "a", ": ",
        "- ", "\n", "  ", "[", "]", "{", "}", ", ", "\"", "'", "|", ">", "&a ", "*a", "!!str ", "? ", "#", "~", "1", "\r", "\t",
        "networking:\n", "podSubnet", "taints", "%YAML 1.2\n", "...\n", "<<", "\u{feff}", "ä", "\u{85}", "\u{2028}",
    ]), 0..60)) {
        places_are_inside(&parts.concat());
    }

    #[test]
    fn mutated_files_are_survived(
        which in 0..3_usize,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, "[-:\\[\\]{}\"' \n\r#&*!a0]{0,3}"), 1..8),
    ) {
        let mut text: Vec<char> = [FULL, HORRIBLE, INIT_DEFAULTS][which].chars().collect();
        for (at, length, insert) in cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, insert.chars());
        }
        places_are_inside(&text.into_iter().collect::<String>());
    }

    #[test]
    fn any_value_is_survived(field in 0..12_usize, value in "\\PC{0,40}") {
        let name = ["clusterName", "kubernetesVersion", "controlPlaneEndpoint", "certificatesDir", "imageRepository",
            "encryptionAlgorithm", "certificateValidityPeriod", "networking: {podSubnet", "networking: {serviceSubnet",
            "networking: {dnsDomain", "apiServer: {certSANs: [a], x", "etcd: {local: {imageTag"][field];
        let close = "}".repeat(name.matches('{').count());
        let value = serde_json::to_string(&value).unwrap();
        places_are_inside(&document("ClusterConfiguration", &format!("{name}: {value}{close}")));
    }
}
