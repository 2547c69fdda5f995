"""Operations on a recorded graph."""
