//! A portrait and a contrast in a few sentences, from released figures only: a group is named only where its interval
//! says that it is what the sentence says.

use crate::cli::chart::{Bar, Contrast, Contrasted, Figure, Panel, grouped, share};

/// Most values that a sentence names.
const MOST: usize = 4;

/// Says how many they are and which groups are largest.
pub fn story(size: Option<Figure>, panels: &[Panel]) -> String {
    let mut sentences: Vec<String> = size.map(size_sentence).into_iter().collect();
    let readable: Vec<&Panel> = panels.iter().filter(|panel| panel.advice.is_none()).collect();
    let whole = size.filter(|size| !size.may_be_nothing()).map_or(0.0, Figure::length);
    sentences.extend(readable.iter().filter_map(|panel| panel_sentence(panel, whole)));
    if readable.is_empty() && !panels.is_empty() {
        sentences.push("Too few people to say who they are.".to_owned());
    }
    sentences.join(" ")
}

fn size_sentence(size: Figure) -> String {
    match size.margin() {
        0 => format!("{} people.", size.words()),
        _ if size.may_be_nothing() => format!("{} people.", capitalized(&size.words())),
        margin => format!("About {} people, give or take {}.", size.short(), grouped(margin)),
    }
}

/// Names the largest group of a panel, if it is larger than the next by more than noise explains.
fn panel_sentence(panel: &Panel, whole: f64) -> Option<String> {
    let mut known: Vec<&Bar> = panel.bars.iter().filter(|bar| !bar.missing && !bar.figure.may_be_nothing()).collect();
    known.sort_by(|a, b| b.figure.length().total_cmp(&a.figure.length()));
    let [first, second, ..] = known.as_slice() else { return None };
    if !larger(first.figure, second.figure) {
        return None;
    }
    let part = share(first.figure.length(), whole).map_or_else(String::new, |share| format!(" ({share})"));
    let (name, title) = (&first.label, panel.title.to_lowercase());
    let most = !panel.overlapping && whole > 0.0 && first.figure.low > whole / 2.0;
    let by_far = first.figure.low > 1.5 * second.figure.high;
    Some(match (most, by_far) {
        (true, _) => format!("Most are {name} by {title}{part}."),
        (false, true) => format!("By far the largest group by {title}: {name}{part}."),
        (false, false) => format!("The largest group by {title}: {name}{part}."),
    })
}

/// Whether one figure is above another by more than the noise of both explains at 95 %.
fn larger(a: Figure, b: Figure) -> bool {
    let half = |figure: Figure| (figure.high - figure.low) / 2.0;
    a.length() - b.length() > half(a).hypot(half(b))
}

/// Says which values stand out, most first.
pub fn contrast_story(panels: &[Contrast]) -> String {
    let all = || panels.iter().flat_map(|panel| panel.rows.iter().map(move |row| (panel, row)));
    let mut standing: Vec<(&Contrast, &Contrasted, Figure)> =
        all().filter(|(_, row)| row.differs).filter_map(|(panel, row)| Some((panel, row, row.index?))).collect();
    standing.sort_by(|(.., a), (.., b)| (b.value / 100.0).ln().abs().total_cmp(&(a.value / 100.0).ln().abs()));
    let named = |above: bool| {
        let side = standing.iter().filter(|(.., index)| (index.value > 100.0) == above).take(MOST);
        let words = side.map(|(panel, row, index)| format!("{}: {} ({:.0})", panel.title, row.label, index.value));
        words.collect::<Vec<_>>().join("; ")
    };
    let sentences = [("More than in everyone", named(true)), ("Less than in everyone", named(false))];
    let said: Vec<String> = sentences
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(words, names)| format!("{words}: {names}."))
        .collect();
    if said.is_empty() { "No difference is shown.".to_owned() } else { said.join(" ") }
}

fn capitalized(words: &str) -> String {
    super::capitalized(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(title: &str, bars: &[(&str, f64)]) -> Panel {
        let bar = |(label, people): &(&str, f64)| Bar {
            label: (*label).to_owned(),
            figure: Figure::count(*people, people - 39.0, people + 39.0),
            missing: false,
        };
        Panel { title: title.into(), bars: bars.iter().map(bar).collect(), overlapping: false, advice: None }
    }

    fn size(people: f64) -> Option<Figure> {
        Some(Figure::count(people, people - 44.0, people + 44.0))
    }

    #[test]
    fn a_portrait_is_told_where_intervals_support_it() {
        let panels = [
            panel("Age", &[("18-24", 300.0), ("25-34", 700.0)]),
            panel("Region", &[("coast", 400.0), ("lakes", 200.0), ("moors", 190.0)]),
            panel("Household", &[("one", 510.0), ("two", 490.0)]),
        ];
        let text = story(size(1000.0), &panels);
        let expected = "About 1,000 people, give or take 44. Most are 25-34 by age (70 %). \
                        By far the largest group by region: coast (40 %).";
        assert_eq!(text, expected, "of households nothing is shown");
    }

    #[test]
    fn too_few_people_are_not_described() {
        let mut age = panel("Age", &[("18-24", 60.0), ("25-34", 10.0)]);
        age.advice = Some("Too few".into());
        assert_eq!(story(size(30.0), &[age]), "Fewer than 74 people. Too few people to say who they are.");
    }

    #[test]
    fn a_contrast_names_only_what_differs() {
        let row = |label: &str, index: f64, differs| Contrasted {
            label: label.into(),
            share: None,
            rest: None,
            index: Some(Figure::count(index, index - 20.0, index + 20.0)),
            differs,
        };
        let rows = vec![row("tea", 180.0, true), row("wool", 110.0, false), row("honey", 60.0, true)];
        let text = contrast_story(&[Contrast { title: "Bought".into(), rows }]);
        assert_eq!(text, "More than in everyone: Bought: tea (180). Less than in everyone: Bought: honey (60).");
        assert_eq!(contrast_story(&[]), "No difference is shown.");
    }
}
