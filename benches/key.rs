//! Keys: what an unchanged build computes for each layer.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use karisimbi::digest::Digest;
use karisimbi::layer::LayerKey;
use karisimbi::layer::key::changes;

/// Measures keys of few short and of many long fields, and what `--explain` compares.
pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("key");
    for (name, count, length) in [("12-fields", 12, 60), ("500-fields", 500, 200)] {
        let fields: Vec<(String, String)> = (0..count)
            .map(|index| (format!("field-{index}"), format!("{index:0length$}")))
            .collect();
        group.bench_with_input(
            BenchmarkId::new("digest", name),
            &fields,
            |bencher, fields| {
                bencher.iter(|| digest(black_box(fields)));
            },
        );
        let (before, mut now) = (key(&fields), fields.clone());
        now[count / 2].1.push('x');
        let now = key(&now);
        group.bench_function(BenchmarkId::new("changes", name), |bencher| {
            bencher.iter(|| changes(black_box(before.fields()), now.fields()));
        });
    }
    group.finish();
}

fn key(fields: &[(String, String)]) -> LayerKey {
    fields
        .iter()
        .fold(LayerKey::new("bench", 1), |key, (name, value)| {
            key.with(name, value)
        })
}

fn digest(fields: &[(String, String)]) -> Digest {
    key(fields).digest()
}
