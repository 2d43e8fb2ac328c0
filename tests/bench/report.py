"""From raw samples to medians, paired ratios and the verdicts on them, as a table and as JSON."""

from statistics import median


def summary(samples, key):
    """gateway -> (median, lowest, highest) of one figure over the rounds."""
    result = {}
    for gateway, rounds in samples.items():
        values = [sample[key] for sample in rounds if sample and key in sample]
        if values:
            result[gateway] = (median(values), min(values), max(values))
    return result


def paired_ratio(samples, peer, key="cpu_ms"):
    """The median over the rounds of Postern's figure divided by the peer's of the same round."""
    pairs = [mine[key] / theirs[key] for mine, theirs in zip(samples.get("postern", []), samples.get(peer, []))
             if mine and theirs and key in mine and theirs.get(key)]
    return median(pairs) if pairs else None


def verdict(value, clearly_ahead, never):
    if value <= clearly_ahead:
        return "ahead"
    if never is not None and value > never:
        return "OVER"
    return "behind the target" if never is None else "within"


def ratios_of(row, samples):
    """One entry per peer, with target and verdict where the row has one."""
    targets = {peer: target for target in row.targets for peer in target.peers}
    entries = []
    for peer in samples:
        ratio = paired_ratio(samples, peer)
        if peer == "postern" or ratio is None:
            continue
        entry = {"peer": peer, "ratio": round(ratio, 3)}
        if peer in targets:
            target = targets[peer]
            entry.update(clearly_ahead=target.clearly_ahead, never=target.never,
                         verdict=verdict(ratio, target.clearly_ahead, target.never))
        entries.append(entry)
    return entries


def idle_ratios(row, samples):
    entries = []
    mine = summary(samples, "fresh")
    if "postern" not in mine:
        return entries
    for peer, limit in row.clearly_ahead.items():
        # nginx dials its backend only with the first message: its fair figure is the used one.
        ratio = paired_ratio(samples, peer, "used" if peer == "nginx" else "fresh")
        if ratio is not None:
            entries.append({"peer": peer, "ratio": round(ratio, 3), "clearly_ahead": limit, "never": None,
                            "verdict": verdict(ratio, limit, None)})
    fresh = mine["postern"][0]
    entries.append({"peer": "octets, fresh", "ratio": round(fresh), "clearly_ahead": row.most_octets, "never": row.never_octets,
                    "verdict": verdict(fresh, row.most_octets, row.never_octets)})
    growth = median(sample["used"] / sample["fresh"] for sample in samples["postern"] if sample)
    entries.append({"peer": "used / fresh", "ratio": round(growth, 3), "clearly_ahead": row.used_to_fresh[0],
                    "never": row.used_to_fresh[1], "verdict": verdict(growth, *row.used_to_fresh)})
    return entries


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def print_figures(title, key, samples, shows_resumed=False):
    figures = summary(samples, key)
    print(f"\n{title}")
    for gateway, (middle, low, high) in figures.items():
        print(f"  {gateway:12} {number(middle):>8}  [{number(low)}–{number(high)}]{extras(samples[gateway], shows_resumed)}")


def resumed_share(rounds):
    """The median over the rounds; None where there were no handshakes."""
    shares = [sample["resumed"] / sample["handshakes"] for sample in rounds if sample and sample["handshakes"]]
    return median(shares) if shares else None


def extras(rounds, shows_resumed):
    rounds = [sample for sample in rounds if sample]
    text = ""
    if "p50_us" in rounds[0]:
        text += "   p50 {} p99 {} µs".format(*(number(median(s[k] for s in rounds)) for k in ("p50_us", "p99_us")))
        text += "   {}/s".format(number(median(s["units"] / s["seconds"] for s in rounds)))
    share = resumed_share(rounds) if shows_resumed else None
    if share is not None:
        text += f"   resumed {share:.1%}"
    return text


def print_ratios(entries):
    for entry in entries:
        line = f"    postern / {entry['peer']:12} {entry['ratio']:>8}"
        if "verdict" in entry:
            never = "" if entry["never"] is None else f", never over {entry['never']}"
            line += f"   clearly ahead ≤ {entry['clearly_ahead']}{never}: {entry['verdict']}"
        print(line.replace("postern / octets, fresh", "postern, octets fresh").replace("postern / used / fresh", "postern, used / fresh"))


def print_stalls(row, samples):
    """No message may wait for a delayed ACK (40 ms). Shorter outliers belong to the scheduler of a busy machine."""
    for gateway, rounds in samples.items():
        rounds = [sample for sample in rounds if sample]
        if row.is_messages and row.unit != "GB" and rounds:
            p50, p99 = (median(sample[key] for sample in rounds) for key in ("p50_us", "p99_us"))
            if p50 > 35000 or p99 > max(35000, 5 * p50):
                print(f"    {gateway} stalls: p50 {number(p50)} µs, p99 {number(p99)} µs")


def print_row(row, samples, entries):
    print_figures(f"{row.name}: CPU ms per {row.title}", "cpu_ms", samples, row.shows_resumed)
    print_ratios(entries)
    share = resumed_share(samples.get("postern", [])) if row.least_resumed else None
    if share is not None:
        print(f"    postern, resumed {share:>14.3f}   clearly ahead ≥ {row.least_resumed}: "
              + ("ahead" if share >= row.least_resumed else "behind the target"))
    if row.p50_target:
        ratio = paired_ratio(samples, row.p50_target, "p50_us")
        if ratio is not None:
            print(f"    postern / {row.p50_target}, p50 {ratio:>8.3f}   clearly ahead ≤ 1.0: {verdict(ratio, 1.0, None)}")
    print_stalls(row, samples)


def print_idle(samples, entries):
    print_figures("idle: PSS octets per session, fresh", "fresh", samples)
    print_figures("idle: PSS octets per session, after a 100 KB message each", "used", samples)
    print_figures("idle: PSS in MB of all processes before the first session", "at_rest", samples)
    print_ratios(entries)


def print_calls(row, calls):
    print(f"\n{row.name}: system calls per {'GB' if row.unit == 'GB' else 'unit'}"
          + (f" (clearly ahead ≤ {row.most_calls:g})" if row.most_calls else ""))
    for gateway, counts in calls.items():
        most = sorted(counts.items(), key=lambda item: -item[1])[:7]
        print(f"  {gateway:12} {number(sum(counts.values())):>8}   " + ", ".join(f"{name} {number(n)}" for name, n in most if n >= 0.05))
