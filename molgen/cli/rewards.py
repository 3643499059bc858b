"""``molgen rewards``: what scoring offers."""

from __future__ import annotations

__all__ = ["rewards"]


def rewards() -> None:
    """List what a score can be made of: components, transforms, ready scores.

    **Example**

    ```
    molgen rewards
    ```
    """
    from molgen.scoring import describe_rewards

    print(describe_rewards().rstrip("\n"))
