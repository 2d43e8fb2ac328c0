#include "proxy/status/page.h"

namespace postern::status {

std::string Page::grouped(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) text += "\xe2\x80\xaf";
    text += digits[i];
  }
  return text;
}

std::string_view page_style() {
  return R"(
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --text: #1c2330; --faint: #5c6675; --edge: #d9dee6;
  --line: #2563c9; --area: #2563c922; --good: #1a7f4b; --bad: #c2352b; --warn: #a15c00 }
@media (prefers-color-scheme: dark) { :root { --back: #10141b; --card: #19202a; --text: #e4e8ee; --faint: #97a3b4;
  --edge: #2d3745; --line: #6aa5ff; --area: #6aa5ff2b; --good: #4fc98a; --bad: #ff7b70; --warn: #f0ac4f } }
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif }
main { max-width: 84rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.35rem; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 1.1rem; margin: 0 0 .6rem }
h3 { font-size: .95rem; margin: 1rem 0 .3rem; color: var(--faint) }
header { display: flex; flex-wrap: wrap; gap: .4rem 1rem; align-items: baseline; margin-bottom: 1rem }
section, details { background: var(--card); border: 1px solid var(--edge); border-radius: .5rem; padding: .9rem 1rem;
  margin-bottom: 1rem }
summary { cursor: pointer; font-weight: 600; overflow-wrap: anywhere }
p { margin: .3rem 0 }
.state { border-radius: 1rem; padding: 0 .7rem; color: var(--card); background: var(--bad); overflow-wrap: anywhere }
.state.good { background: var(--good) }
.faint, footer { color: var(--faint) }
.good { color: var(--good) } .bad { color: var(--bad) } .warn { color: var(--warn) } .state.good { color: var(--card) }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .6rem 1rem; margin: 0 }
dt { color: var(--faint); font-size: .85rem } dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th { text-align: left; color: var(--faint); font-weight: 500; font-size: .85rem }
th, td { padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--edge); vertical-align: top; white-space: nowrap }
tbody tr:last-child td { border-bottom: 0 }
td.t { white-space: normal; overflow-wrap: anywhere; min-width: 11rem }
td.w { white-space: normal; overflow-wrap: anywhere }
td svg.line { width: 10rem; height: 1.5rem }
a { color: var(--line) }
.n { text-align: right }
.columns { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 0 2rem }
.columns > div { min-width: 0 }
figure { margin: 0 } figcaption { color: var(--faint); font-size: .85rem }
svg.line { width: 100%; height: 2.6rem; display: block }
svg.line polyline { fill: none; stroke: var(--line); stroke-width: 1.5; vector-effect: non-scaling-stroke }
svg.line polygon { fill: var(--area) }
svg.bar { width: 6rem; height: .55rem; vertical-align: middle }
svg.bar .all { fill: var(--edge) } svg.bar .full { fill: var(--line) }
svg.bar.good .full { fill: var(--good) } svg.bar.bad .full { fill: var(--bad) }
)";
}

// Fetches the page anew and puts its <main> in place of the present one; what is folded up stays so.
std::string_view page_script() {
  return R"(
(() => {
  "use strict";
  const period = 5000;
  const note = text => { const place = document.getElementById("refresh"); if (place) place.textContent = text; };
  const places = () => [...document.querySelectorAll(".wide")];
  async function refresh() {
    if (!document.hidden) {
      try {
        const answer = await fetch("/status", { cache: "no-store" });
        if (!answer.ok) throw new Error(answer.status);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const main = page.querySelector("main");
        for (const each of document.querySelectorAll("details[id]")) {
          const same = main.querySelector("#" + CSS.escape(each.id));
          if (same) same.open = each.open;
        }
        const scrolled = places().map(each => each.scrollLeft);
        document.querySelector("main").replaceWith(document.adoptNode(main));
        places().forEach((each, i) => { each.scrollLeft = scrolled[i] || 0; });
        note("Refreshes itself every five seconds.");
      } catch {
        note("It could not be refreshed: this is how it was.");
      }
    }
    setTimeout(refresh, period);
  }
  note("Refreshes itself every five seconds.");
  setTimeout(refresh, period);
})();
)";
}

}  // namespace postern::status
