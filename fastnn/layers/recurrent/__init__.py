"""Recurrent layers: cells, what takes them through sequences, and three whose sequences are one kernel each."""

from .cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from .layers import GRU, LSTM, SimpleRNN
from .rnn import RNN
from .wrappers import Bidirectional, TimeDistributed

__all__ = ["Bidirectional", "GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "SimpleRNN", "SimpleRNNCell",
           "StackedRNNCells", "TimeDistributed"]
