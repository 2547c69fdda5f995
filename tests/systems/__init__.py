"""Networks that texts on backpropagation build, each a small program with the public interface only."""
