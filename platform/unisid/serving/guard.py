"""Whether a pair that was just promoted stays: what it did with live rows, beside what the pair before it did."""

from dataclasses import dataclass

from unisid.serving.settings import Serving


@dataclass
class Tally:
    """What became of the rows that a pair answered."""

    rows: int = 0
    errors: int = 0
    """Rows that failed; a row whose own request is wrong is none of them."""
    seconds: float = 0.0
    compared: int = 0
    """Rows that the pair before answered too."""
    agreement: float = 0.0
    """The sum over these of the share of items that both recommend."""

    def add(self, rows: int, errors: int, seconds: float) -> None:
        """Rows that were answered together, in so much time for all of them."""
        self.rows, self.errors, self.seconds = self.rows + rows, self.errors + errors, self.seconds + seconds

    def compare(self, new: list[int], old: list[int]) -> None:
        """A row's items by both pairs."""
        self.compared += 1
        self.agreement += len({*new} & {*old}) / max(1, len(new))

    @property
    def each(self) -> float:
        """Seconds a row."""
        return self.seconds / max(1, self.rows)


def fault_of(now: Tally, before: Tally, settings: Serving) -> str:
    """Why a pair is to be withdrawn; empty where nothing is wrong with it."""
    share = now.errors / max(1, now.rows)
    if share > settings.most_errors:
        return f"{now.errors} of {now.rows} rows failed, serving.most_errors is {settings.most_errors:g}"
    slower = now.each / before.each if before.rows and before.each else 0.0
    if settings.most_slower and slower > settings.most_slower:
        return (
            f"a row took {now.each * 1000:.1f} ms, {slower:.1f} times as long as before; serving.most_slower is "
            f"{settings.most_slower:g}"
        )
    agreement = now.agreement / max(1, now.compared)
    if settings.least_agreement and now.compared and agreement < settings.least_agreement:
        return (
            f"{agreement:.3f} of its items are recommended by the pair before too, serving.least_agreement is "
            f"{settings.least_agreement:g}"
        )
    return ""
