"""Tables as lenders and repositories publish them, made from a seed: odd files with a known truth."""

from __future__ import annotations

import datetime as dt

import numpy as np


def _bad(random: np.random.Generator, odds: np.ndarray) -> np.ndarray:
    return random.random(len(odds)) < 1 / (1 + np.exp(-odds))


def australian(rows: int = 690, seed: int = 1) -> str:
    """No header, blanks between, codes of categories as numbers; the last column is 1 = good, 0 = bad."""
    random = np.random.default_rng(seed)
    a8, a2 = random.integers(0, 2, rows), np.round(random.gamma(6, 5, rows) + 14, 2)
    a14 = np.round(random.lognormal(4, 2, rows)).astype(int)
    good = ~_bad(random, 1.2 - 3.2 * a8 - 0.2 * np.log1p(a14))
    a4 = random.integers(1, 4, rows)
    return "".join(
        f"{one[0]} {one[1]} {one[2]} {one[3]} {int(one[4])}\n" for one in zip(a8, a2, a4, a14, good, strict=True)
    )


def japanese(rows: int = 690, seed: int = 2) -> str:
    """No header, commas, `?` for missing, + and - as outcome, postcodes with zeros in front."""
    random = np.random.default_rng(seed)
    a9 = random.choice(["t", "f"], rows)
    approved = ~_bad(random, np.where(a9 == "t", -1.8, 1.6))
    lines = []
    for row in range(rows):
        a1 = "?" if random.random() < 0.03 else random.choice(["a", "b"])
        a2 = "?" if random.random() < 0.03 else f"{random.gamma(6, 5) + 14:.2f}"
        cells = [
            a1,
            a2,
            f"{random.gamma(1, 5):g}",
            random.choice(list("uyl")),
            a9[row],
            f"{random.integers(0, 20):02d}",
        ]
        cells += [f"{random.integers(0, 40) * 20:05d}", str(random.integers(0, 5000)), "+" if approved[row] else "-"]
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def heloc(rows: int = 2000, seed: int = 3) -> str:
    """Quantities among the codes -7, -8 and -9, rows that are -9 throughout, Good and Bad in front."""
    random = np.random.default_rng(seed)
    estimate, months = random.integers(35, 95, rows), random.integers(0, 800, rows)
    satisfactory, worst = random.integers(0, 80, rows), random.integers(0, 10, rows)
    bad = _bad(random, 7 - 0.1 * estimate + 0.02 * (40 - satisfactory))
    months = np.where(random.random(rows) < 0.05, -8, months)
    recent = np.where(random.random(rows) < 0.5, -7, random.integers(0, 80, rows))
    empty = random.random(rows) < 0.05
    columns = [np.where(empty, -9, one) for one in (estimate, months, satisfactory, worst, recent)]
    lines = [
        "RiskPerformance,ExternalRiskEstimate,MSinceOldestTradeOpen,NumSatisfactoryTrades,MaxDelq2PublicRecLast12M,MSinceMostRecentDelq"
    ]
    for row in range(rows):
        lines.append(",".join(["Bad" if bad[row] else "Good", *(str(one[row]) for one in columns)]))
    return "\n".join(lines) + "\n"


def lending_club(rows: int = 3000, seed: int = 4) -> str:
    """Text above the header and below the table, percents, months as dates, and columns filled in after the outcome."""
    random = np.random.default_rng(seed)
    rate, income = random.uniform(5, 28, rows), np.round(random.lognormal(11, 0.5, rows))
    amount = random.integers(10, 350, rows) * 100
    bad = _bad(random, -4 + 0.14 * rate - 0.5 * (np.log(income) - 11))
    months = random.integers(0, 60, rows)
    grade = np.array(list("ABCDEFG"))[np.minimum((rate - 5) // 3.3, 6).astype(int)]
    lines = [
        "Notes offered by Prospectus (https://www.example.org/prospectus.action)",
        "id,loan_amnt,term,int_rate,grade,emp_title,emp_length,annual_inc,issue_d,desc,revol_util,"
        "total_rec_prncp,recoveries,last_pymnt_d,settlement_date,policy_code,url,loan_status",
    ]
    for row in range(rows):
        issued = dt.date(2012 + months[row] // 12, months[row] % 12 + 1, 1)
        share = random.uniform(0.05, 0.6) if bad[row] else 1.0
        paid = dt.date(issued.year + 1 + random.integers(0, 2), random.integers(1, 13), 1)
        recovered = round(amount[row] * 0.1 * random.random(), 2) if bad[row] and random.random() < 0.7 else 0.0
        cells = [
            "", str(amount[row]), " 36 months" if random.random() < 0.7 else " 60 months", f"{rate[row]:.2f}%",
            grade[row], f"title {random.integers(0, rows)}", random.choice(["10+ years", "< 1 year", "3 years", "n/a"]),
            f"{income[row]:.1f}", f"{issued:%b-%Y}", "", f"{random.uniform(0, 100):.1f}%", f"{amount[row] * share:.2f}",
            f"{recovered}", f"{paid:%b-%Y}", f"{paid:%b-%Y}" if bad[row] and random.random() < 0.5 else "", "1",
            f"https://www.example.org/loan/{row}", "Charged Off" if bad[row] else "Fully Paid",
        ]  # fmt: skip
        lines.append(",".join(f'"{one}"' for one in cells))
    return "\n".join([*lines, "Total amount funded in policy code 1: 471701350", ""])


def chinese(rows: int = 400, seed: int = 5) -> str:
    """Names and categories in Chinese, for files in GB18030; 是 is the event."""
    random = np.random.default_rng(seed)
    income, city = random.integers(20, 400, rows) * 100, random.choice(["北京", "上海", "成都"], rows)
    bad = _bad(random, 1.5 - income / 8000 + 0.8 * (city == "成都"))
    lines = ["客户编号,月收入,城市,是否逾期"]
    lines += [f"{row + 10001},{income[row]},{city[row]},{'是' if bad[row] else '否'}" for row in range(rows)]
    return "\r\n".join(lines) + "\r\n"


def european(rows: int = 400, seed: int = 6) -> str:
    """Semicolons, decimal commas with grouped thousands, days before months, accents for files in Latin-1."""
    random = np.random.default_rng(seed)
    income, share = random.uniform(900, 9000, rows), random.uniform(0, 2, rows)
    bad = _bad(random, 1.0 - income / 2500 + share)
    lines = ["Prénom;Einkommen;Quote;Geprüft am;Straße;Ausfall"]
    for row in range(rows):
        day = dt.date(2023, 1, 1) + dt.timedelta(days=int(random.integers(0, 700)))
        money = f"{income[row]:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")
        name = random.choice(["André", "Zoë", "Jürgen", "Øyvind"])
        cells = [
            name,
            money,
            f"{share[row]:.3f}".replace(".", ","),
            f"{day:%d.%m.%Y}",
            "Größe",
            "ja" if bad[row] else "nein",
        ]
        lines.append(";".join(cells))
    return "\n".join(lines) + "\n"
