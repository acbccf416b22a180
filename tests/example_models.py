"""Five kinds of model with a recurrent network, rebuilt small: what they take is in `example_inputs`.

Each class is a factory for `advise` as it is: `python -m benchmarks advise tests.example_models:Tagger --input 40,16`.
The sizes are arguments, so that tests can take smaller ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class CharacterLanguageModel(nn.Module):
    """The next character of a text: an embedding, an LSTM of several layers, and scores of all characters."""

    def __init__(self, characters: int = 96, hidden: int = 256, layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, hidden)
        self.rnn = nn.LSTM(hidden, hidden, layers)
        self.scores = nn.Linear(hidden, characters)

    def forward(self, characters: Tensor) -> Tensor:
        """Characters (T, B) -> scores (T, B, characters)."""
        y, _ = self.rnn(self.embedding(characters))
        scores: Tensor = self.scores(y)
        return scores

    def example_inputs(self, T: int, B: int) -> tuple[Tensor, ...]:
        """The arguments of `forward` for T characters of B texts."""
        return (torch.randint(self.embedding.num_embeddings, (T, B)),)


class Tagger(nn.Module):
    """A tag for each word of sentences of unequal lengths: an LSTM in both directions over packed sequences."""

    def __init__(self, words: int = 1000, tags: int = 17, features: int = 100, hidden: int = 128) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, features, padding_idx=0)
        self.rnn = nn.LSTM(features, hidden, bidirectional=True, batch_first=True)
        self.scores = nn.Linear(2 * hidden, tags)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """Words (B, T) and the lengths (B,) of the sentences -> scores (B, longest, tags)."""
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        y, _ = self.rnn(packed)
        padded, _ = pad_packed_sequence(y, batch_first=True)
        scores: Tensor = self.scores(padded)
        return scores

    def example_inputs(self, T: int, B: int) -> tuple[Tensor, ...]:
        """The arguments of `forward` for B sentences, of which the first has T words and the last half as many."""
        lengths = torch.linspace(T, max(1, T // 2), B).round().long()
        words = torch.randint(1, self.embedding.num_embeddings, (B, T))
        return words.masked_fill(torch.arange(T) >= lengths[:, None], 0), lengths


class SpeechEncoder(nn.Module):
    """Features of speech: a GRU of several layers in both directions, with dropout between them."""

    def __init__(self, features: int = 80, hidden: int = 192, layers: int = 3, classes: int = 32) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.rnn = nn.GRU(features, hidden, layers, dropout=0.2, bidirectional=True)
        self.scores = nn.Linear(2 * hidden, classes)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (T, B, features) -> scores (T, B, classes)."""
        y, _ = self.rnn(self.norm(frames))
        scores: Tensor = self.scores(y)
        return scores

    def example_inputs(self, T: int, B: int) -> tuple[Tensor, ...]:
        """The arguments of `forward` for T frames of B recordings."""
        return (torch.randn(T, B, *self.norm.normalized_shape),)


class Policy(nn.Module):
    """An action from what is seen and what is remembered: a GRU that is called one step at a time."""

    def __init__(self, seen: int = 24, hidden: int = 128, actions: int = 6) -> None:
        super().__init__()
        self.seen = seen
        self.encoder = nn.Sequential(nn.Linear(seen, hidden), nn.ReLU())
        self.rnn = nn.GRU(hidden, hidden)
        self.scores = nn.Linear(hidden, actions)

    def forward(self, seen: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What is seen (B, seen) and the state (1, B, hidden) or None -> scores (B, actions), the next state."""
        y, h_n = self.rnn(self.encoder(seen)[None], h)
        return self.scores(y[0]), h_n

    def example_inputs(self, T: int, B: int) -> tuple[Tensor, ...]:
        """The arguments of `forward` for one step of B copies of the environment, whatever T is."""
        return torch.randn(B, self.seen), torch.zeros(1, B, self.rnn.hidden_size)


class Forecaster(nn.Module):
    """The next values of several series from their past: an RNN with `batch_first`, read at its last step."""

    def __init__(self, series: int = 8, hidden: int = 64, horizon: int = 12) -> None:
        super().__init__()
        self.rnn = nn.RNN(series, hidden, batch_first=True)
        self.head = nn.Linear(hidden, horizon * series)

    def forward(self, past: Tensor) -> Tensor:
        """The past (B, T, series) -> what follows (B, horizon, series)."""
        y, _ = self.rnn(past)
        following: Tensor = self.head(y[:, -1]).unflatten(-1, (-1, past.shape[-1]))
        return following

    def example_inputs(self, T: int, B: int) -> tuple[Tensor, ...]:
        """The arguments of `forward` for T past values of B groups of series."""
        return (torch.randn(B, T, self.rnn.input_size),)


MODELS = (CharacterLanguageModel, Tagger, SpeechEncoder, Policy, Forecaster)
"""All five."""
