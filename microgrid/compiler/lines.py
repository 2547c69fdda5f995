"""Writer of the lines around the code: loops over blocks, lanes and columns, whose ends are known or in registers."""

from __future__ import annotations


class Lines:
    """Lines of a function in LLVM's language, with loops that may run zero times."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.vector = "double" if lanes == 1 else f"<{lanes} x double>"
        self.lines: list[str] = []
        self.block = "entry"
        self.names = 0

    def set(self, text: str) -> str:
        """Write an instruction; return its register."""
        self.names += 1
        self.lines.append(f"  %k{self.names} = {text}")
        return f"%k{self.names}"

    def do(self, text: str) -> None:
        """Write an instruction without a result."""
        self.lines.append(f"  {text}")

    def address(self, type: str, base: str, index: str) -> str:
        """Write the address of an element of an array."""
        return self.set(f"getelementptr {type}, ptr {base}, i64 {index}")

    def load(self, type: str, base: str, index: str) -> str:
        """Write the load of an element of an array."""
        return self.set(f"load {type}, ptr {self.address(type, base, index)}, align 8")

    def begin(self, name: str, first: str, end: str) -> str:
        """Open a loop from first to end, exclusive; its body may run zero times."""
        go = self.set(f"icmp slt i64 {first}, {end}")
        self.do(f"br i1 {go}, label %{name}, label %{name}.done")
        self.lines.append(f"{name}:")
        self.do(f"%{name}.i = phi i64 [ {first}, %{self.block} ], [ %{name}.next, %{name}.end ]")
        self.block = name
        return f"%{name}.i"

    def end(self, name: str, end: str) -> None:
        """Close a loop."""
        self.do(f"br label %{name}.end")
        self.lines.append(f"{name}.end:")
        self.do(f"%{name}.next = add nsw i64 %{name}.i, 1")
        again = self.set(f"icmp slt i64 %{name}.next, {end}")
        self.do(f"br i1 {again}, label %{name}, label %{name}.done")
        self.lines.append(f"{name}.done:")
        self.block = f"{name}.done"

    def seed(self, count: str) -> str:
        """Set the seed: the weight in each lane that has a sample, 0 in the others."""
        lanes = self.lanes
        if lanes == 1:
            return "%weight"
        numbers = ", ".join(f"i64 {i}" for i in range(lanes))
        ends = self.set(f"insertelement <{lanes} x i64> poison, i64 {count}, i64 0")
        ends = self.set(
            f"shufflevector <{lanes} x i64> {ends}, <{lanes} x i64> poison, <{lanes} x i32> zeroinitializer"
        )
        there = self.set(f"icmp slt <{lanes} x i64> <{numbers}>, {ends}")
        vector, first = self.vector, f"<{lanes} x i32> zeroinitializer"
        weights = self.set(f"insertelement {vector} poison, double %weight, i64 0")
        weights = self.set(f"shufflevector {vector} {weights}, {vector} poison, {first}")
        return self.set(f"select <{lanes} x i1> {there}, {self.vector} {weights}, {self.vector} zeroinitializer")
